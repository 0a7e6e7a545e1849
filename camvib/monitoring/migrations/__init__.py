"""How the ledger's tables came to be, step by step; Alembic walks the steps that a store lacks."""
