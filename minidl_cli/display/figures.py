"""The figures, drawn from plain arrays: each is written as PNG, with the data behind it as CSV beside it."""

from .activation_figure import draw_activations
from .confusion_figure import draw_confusion
from .epoch_figures import MOST_EPOCHS, Curve, History, Metric, draw_curves, draw_rounds, draw_variants, spread
from .final_figures import Finals, draw_final_pairs, draw_final_points
from .plane_figures import MOST_POINTS, Part, Predictions, draw_dataset, draw_decision, draw_predictions
from .prediction_figure import Target, draw_true_against_predicted

__all__ = [
    "MOST_EPOCHS",
    "MOST_POINTS",
    "Curve",
    "Finals",
    "History",
    "Metric",
    "Part",
    "Predictions",
    "Target",
    "draw_activations",
    "draw_confusion",
    "draw_curves",
    "draw_dataset",
    "draw_decision",
    "draw_final_pairs",
    "draw_final_points",
    "draw_predictions",
    "draw_rounds",
    "draw_true_against_predicted",
    "draw_variants",
    "spread",
]
