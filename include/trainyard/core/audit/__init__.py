"""The audit log: who did what through the service, from where, and what came of it."""
