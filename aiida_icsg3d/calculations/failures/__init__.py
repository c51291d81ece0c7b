"""Why a job failed, and what to do about it."""
