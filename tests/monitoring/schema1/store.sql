BEGIN TRANSACTION;
CREATE TABLE baselines (
	id INTEGER NOT NULL, 
	asset VARCHAR(255) NOT NULL, 
	image VARCHAR(64) NOT NULL, 
	mean_db JSON NOT NULL, 
	spread_db JSON NOT NULL, 
	recordings INTEGER NOT NULL, 
	recording_ids JSON NOT NULL, 
	learned_at VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (asset, image)
);
INSERT INTO "baselines" VALUES(1,'pump','image0','[0.0, 1.0, 2.0, 3.0]','[1.0, 1.0, 1.0, 1.0]',3,'["a", "b", "c"]','2026-11-25T22:30:38+00:00');
CREATE TABLE diagnoses (
	id INTEGER NOT NULL, 
	recording_id VARCHAR(64) NOT NULL, 
	model VARCHAR(64) NOT NULL, 
	settings_digest VARCHAR(64) NOT NULL, 
	asset VARCHAR(255) NOT NULL, 
	verdict VARCHAR(16) NOT NULL, 
	label VARCHAR(255) NOT NULL, 
	record JSON NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (recording_id, model, settings_digest)
);
INSERT INTO "diagnoses" VALUES(1,'df768bf383aaad8006e2','afef8a2218f5','2a8e7b3c3bef','','refused','','{"recording_id": "df768bf383aaad8006e2", "recording": "inbox/bare.npy", "channel": "", "asset": "", "verdict": "refused", "label": "", "probabilities": {}, "reason": "inbox/bare.npy, channel ''samples'': the file does not state its sampling rate", "remedy": "Declare the true one: column sampling_rate_hz of labels.csv, or --sampling-rate", "regions": [], "findings": [], "reference": "", "start_s": 0.0, "duration_s": 0.0, "sampling_rate_hz": 0.0, "unit": "", "recorded_at": "", "model": "afef8a2218f5", "settings_digest": "2a8e7b3c3bef", "warnings": []}');
INSERT INTO "diagnoses" VALUES(2,'e7d8870c8b468ac72bd8','afef8a2218f5','2a8e7b3c3bef','','refused','','{"recording_id": "e7d8870c8b468ac72bd8", "recording": "inbox/empty.csv", "channel": "", "asset": "", "verdict": "refused", "label": "", "probabilities": {}, "reason": "inbox/empty.csv: 0 bytes", "remedy": "Copy or export the file again", "regions": [], "findings": [], "reference": "", "start_s": 0.0, "duration_s": 0.0, "sampling_rate_hz": 0.0, "unit": "", "recorded_at": "", "model": "afef8a2218f5", "settings_digest": "2a8e7b3c3bef", "warnings": []}');
INSERT INTO "diagnoses" VALUES(3,'0c03afdd0d96ffb61450','afef8a2218f5','2a8e7b3c3bef','pump','fault','crack','{"recording_id": "0c03afdd0d96ffb61450", "recording": "inbox/r0.npz", "channel": "a", "asset": "pump", "verdict": "fault", "label": "crack", "probabilities": {"healthy": 1.9576579584715736e-08, "crack": 0.9999999804234204}, "reason": "The log odds of crack against healthy are +17.7", "remedy": "Check the asset for crack, first where the strongest region points", "regions": [{"start_s": 0.0, "end_s": 0.25, "low_hz": 0.0, "high_hz": 8.628757652313041, "share": 0.7191407936840379, "sign": -1, "name": ""}, {"start_s": 0.75, "end_s": 1.0, "low_hz": 0.0, "high_hz": 8.628757652313041, "share": 0.24457102302319034, "sign": 1, "name": ""}], "findings": [], "reference": "healthy", "start_s": 0.0, "duration_s": 1.171875, "sampling_rate_hz": 256.0, "unit": "m/s2", "recorded_at": "", "model": "afef8a2218f5", "settings_digest": "2a8e7b3c3bef", "warnings": []}');
INSERT INTO "diagnoses" VALUES(4,'4a54ca80548994a3190a','afef8a2218f5','2a8e7b3c3bef','pump','healthy','healthy','{"recording_id": "4a54ca80548994a3190a", "recording": "inbox/r1.npz", "channel": "a", "asset": "pump", "verdict": "healthy", "label": "healthy", "probabilities": {"healthy": 0.5206753071153083, "crack": 0.47932469288469165}, "reason": "The log odds of crack against healthy are -0.1", "remedy": "", "regions": [{"start_s": 0.0, "end_s": 0.25, "low_hz": 0.0, "high_hz": 8.628757652313041, "share": 0.4436292503655503, "sign": -1, "name": ""}, {"start_s": 0.5, "end_s": 0.75, "low_hz": 0.0, "high_hz": 8.628757652313041, "share": 0.25708106352888127, "sign": -1, "name": ""}], "findings": [], "reference": "healthy", "start_s": 0.0, "duration_s": 1.171875, "sampling_rate_hz": 256.0, "unit": "m/s2", "recorded_at": "", "model": "afef8a2218f5", "settings_digest": "2a8e7b3c3bef", "warnings": []}');
INSERT INTO "diagnoses" VALUES(5,'34e79b7683b59cb07d47','afef8a2218f5','2a8e7b3c3bef','pump','fault','crack','{"recording_id": "34e79b7683b59cb07d47", "recording": "inbox/r2.npz", "channel": "a", "asset": "pump", "verdict": "fault", "label": "crack", "probabilities": {"healthy": 2.5488297486754807e-08, "crack": 0.9999999745117025}, "reason": "The log odds of crack against healthy are +17.5", "remedy": "Check the asset for crack, first where the strongest region points", "regions": [{"start_s": 0.25, "end_s": 0.75, "low_hz": 0.0, "high_hz": 25.013292244454295, "share": 0.3752195183575897, "sign": 1, "name": ""}, {"start_s": 0.0, "end_s": 0.25, "low_hz": 0.0, "high_hz": 8.628757652313041, "share": 0.634019078617816, "sign": -1, "name": ""}], "findings": [], "reference": "healthy", "start_s": 0.0, "duration_s": 1.171875, "sampling_rate_hz": 256.0, "unit": "m/s2", "recorded_at": "", "model": "afef8a2218f5", "settings_digest": "2a8e7b3c3bef", "warnings": []}');
INSERT INTO "diagnoses" VALUES(6,'a629128451a31ec49961','afef8a2218f5','2a8e7b3c3bef','pump','healthy','healthy','{"recording_id": "a629128451a31ec49961", "recording": "inbox/bare.npy", "channel": "samples", "asset": "pump", "verdict": "healthy", "label": "healthy", "probabilities": {"healthy": 0.7583414732228498, "crack": 0.24165852677715013}, "reason": "The log odds of crack against healthy are -1.1", "remedy": "", "regions": [{"start_s": 0.5, "end_s": 0.75, "low_hz": 0.0, "high_hz": 8.628757652313041, "share": 0.9193244120153099, "sign": -1, "name": ""}], "findings": [{"kind": "other_channel", "refuse": false, "message": "channel ''samples'', trained on ''a''", "remedy": "Choose the channel with --channel", "start_s": 0.0, "end_s": 0.0, "value": NaN, "limit": NaN}], "reference": "healthy", "start_s": 0.0, "duration_s": 1.171875, "sampling_rate_hz": 256.0, "unit": "m/s2", "recorded_at": "", "model": "afef8a2218f5", "settings_digest": "2a8e7b3c3bef", "warnings": []}');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
CREATE INDEX ix_diagnoses_asset ON diagnoses (asset);
CREATE INDEX ix_diagnoses_recording_id ON diagnoses (recording_id);
CREATE INDEX ix_diagnoses_verdict ON diagnoses (verdict);
COMMIT;
