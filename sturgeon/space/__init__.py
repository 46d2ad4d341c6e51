"""The search space: named parameters with their ranges and scales, conditions on them and constraints between them."""

from sturgeon.space.conditions import MAX_PARAMETERS as MAX_PARAMETERS
from sturgeon.space.conditions import Range as Range
from sturgeon.space.constraints import Constraint as Constraint
from sturgeon.space.constraints import Constraints as Constraints
from sturgeon.space.normals import LogNormal as LogNormal
from sturgeon.space.normals import Normal as Normal
from sturgeon.space.parameters import Choice as Choice
from sturgeon.space.parameters import Fixed as Fixed
from sturgeon.space.parameters import Float as Float
from sturgeon.space.parameters import Int as Int
from sturgeon.space.space import AnyParameter as AnyParameter
from sturgeon.space.space import Space as Space
