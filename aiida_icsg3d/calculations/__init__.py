"""CalcJobs: one a stage of `icsg3d`."""
