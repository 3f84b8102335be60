"""The yardsticks: what the derived gradients are held against. Only here may autograd be used."""
