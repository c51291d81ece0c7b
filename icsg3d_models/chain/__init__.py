"""The stages from a latent to a screened crystal, one after another in one process."""
