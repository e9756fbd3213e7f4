"""MLflow's side of a study. mlflow reads its variables while it is imported, so they come first."""

from afdcd.environment import MLFLOW_DEFAULTS, set_defaults

set_defaults(MLFLOW_DEFAULTS)
