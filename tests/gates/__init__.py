"""Are the tests real? Known mistakes are planted into a copy of the operator, and a named test has to find each.

`bugs.BUGS` is the list, `planting` makes the copy and runs the test, `test_gates.py` asks for the verdict (`make test`
has it as the suite "gates").
"""
