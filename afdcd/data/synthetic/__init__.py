"""The rendered street scenes of the synthetic data set."""
