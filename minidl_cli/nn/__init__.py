"""The graph: layers with derived gradients, losses, initial values, and the `Sequential` that holds them."""
