"""One module for each kind of rule: the statements that an operation of it consists of."""
