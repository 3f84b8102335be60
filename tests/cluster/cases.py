"""What is trained where something happens meanwhile."""

from tests.faults.cases import CASES

# Long enough that something can happen in the middle of it.
CASE = CASES["dropout"].but("training.epochs=30000", "training.log_every=10")
# How many seconds a command has to end after a signal: it should take two, but a busy machine may take longer.
SOON = 5.0
