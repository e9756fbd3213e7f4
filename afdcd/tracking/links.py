"""Addresses of MLflow pages."""


def experiment_page(server: str, experiment: str) -> str:
    """The runs of an experiment, in the view for model training.

    Without the last part MLflow 3 opens on its view for language model traces.
    """
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs?workflowType=machine_learning"
