"""The published metrics of crystal reconstruction and generation, one family a module.

reconstruction: match rate and RMSE. validity: structure and composition. coverage: COV-R and COV-P, on
site_fingerprints and composition_features. distributions: Wasserstein distances. novelty: uniqueness,
novelty and S.U.N. sites: species, positions and cells. conditioning: distance from a target.
"""
