"""The first schema: diagnoses and baselines, one row each. A store of that time is stamped with this."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "diagnoses",
        sa.Column("id", sa.Integer, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("recording_id", "model", "settings_digest", "asset", "verdict", "label")
        ),
        sa.Column("record", sa.JSON, nullable=False),
        sa.UniqueConstraint("recording_id", "model", "settings_digest"),
    )
    op.create_table(
        "baselines",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("mean_db", sa.JSON, nullable=False),
        sa.Column("spread_db", sa.JSON, nullable=False),
        sa.Column("recordings", sa.Integer, nullable=False),
        sa.Column("recording_ids", sa.JSON, nullable=False),
        sa.Column("learned_at", sa.Text, nullable=False),
        sa.UniqueConstraint("asset", "image"),
    )
