"""From a config to trained rounds: building, the trainer, evaluation."""
