"""One file, one network: what it learns from, how, and how it is measured. `training.zoo.RECIPES` lists them."""
