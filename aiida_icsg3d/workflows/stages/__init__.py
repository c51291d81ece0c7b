"""One small WorkChain a stage: its job, again where that helps."""
