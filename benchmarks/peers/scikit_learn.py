"""The peer: scikit-learn's MLPClassifier and MLPRegressor, one network after the other (`peer.py`: how to run it).

Its fastest setting that tests after every epoch, chosen by measurement (see LOG.md): `partial_fit`, single precision,
one thread. (`fit` takes up to a fifth less, but tells nothing of the test samples.) What is not the same work:

- all hidden layers have one activation: those of the disc have tanh everywhere, where the others have one relu;
- initial weights are Glorot's, and orders its own, so that agreement cannot be checked;
- it does not tell the accuracy on the training samples.

The disc is a regression on the one-hot targets, whose gradients are those of the squared error of the others.
"""

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from ..works import SGD, Data, Weights, Work
from .peer import Metrics, main


class Round:
    """The training of one network."""

    def __init__(self, work: Work, seed: int):
        rule = work.optimizer
        if isinstance(rule, SGD):
            solver = {"solver": "sgd", "momentum": rule.momentum, "nesterovs_momentum": False}
        else:
            solver = {"solver": "adam", "beta_1": rule.betas[0], "beta_2": rule.betas[1], "epsilon": rule.eps}
        self.is_regression = work.loss == "mse"
        kind = MLPRegressor if self.is_regression else MLPClassifier
        self.network = kind(
            hidden_layer_sizes=work.widths[1:-1],
            activation=work.activations[0],
            alpha=0,
            batch_size=work.batch_size,
            learning_rate_init=rule.lr,
            random_state=seed,
            **solver,
        )

    def epoch(self, data: Data) -> tuple[float, float, float, float]:
        """Train on all samples, in an order of its own, and test."""
        train, test = data
        if self.is_regression:
            self.network.partial_fit(train.inputs, train.targets)
            output = self.network.predict(test.inputs)
            losses = 2 * self.network.loss_, np.square(output - test.targets).mean()
        else:
            self.network.partial_fit(train.inputs, train.targets.argmax(axis=1), classes=range(train.targets.shape[1]))
            output = self.network.predict_proba(test.inputs)
            losses = self.network.loss_, -np.log(output[test.targets > 0]).mean()
        accuracy = (output.argmax(axis=1) == test.targets.argmax(axis=1)).mean()
        return losses[0], np.nan, losses[1], accuracy


class ScikitLearn:
    """All rounds of a work, one after the other in every epoch."""

    def __init__(self, work: Work, data: Data, weights: Weights):
        threadpool_limits(1)
        self.data = data
        self.rounds = [Round(work, seed) for seed in range(len(weights[0][0]))]

    def shuffled(self) -> None:
        """Draw nothing: `partial_fit` draws an order for itself."""

    def epoch(self, orders: None) -> Metrics:
        return Metrics(*np.transpose([each.epoch(self.data) for each in self.rounds]))


if __name__ == "__main__":
    main(ScikitLearn)
