"""The line search of J. J. Moré and D. J. Thuente ("Line search algorithms with guaranteed sufficient decrease", ACM TOMS 20,
1994) as L-BFGS-B uses it, turned inside out: it is told the value and slope at a step, and answers with the next step to try.
"""

import math
from dataclasses import dataclass

SUFFICIENT_DECREASE = 1e-3
CURVATURE = 0.9
_INTERVAL = 0.1
_LONGEST = 1e10


@dataclass(frozen=True)
class _Point:
    """A step, the value there and the slope there."""

    step: float
    value: float
    slope: float


class LineSearch:
    """One search along a direction in which the function falls.

    Args:
        value, slope: of the function at step 0; the slope is negative.
        first: the first step that is tried.
    """

    def __init__(self, value: float, slope: float, first: float) -> None:
        self._start = _Point(0.0, value, slope)
        self._best = self._other = self._start
        self._bracketed = False
        self._early = True  # until a step decreases enough and the slope there is not negative
        self._least, self._most = 0.0, 5 * first
        self._width, self._width_before = _LONGEST, 2 * _LONGEST

    def after(self, step: float, value: float, slope: float) -> float | None:
        """The next step to try; None when this one is to be taken."""
        start = self._start
        wanted_slope = SUFFICIENT_DECREASE * start.slope
        enough = start.value + step * wanted_slope
        if self._early and value <= enough and slope >= 0:
            self._early = False
        if value <= enough and abs(slope) <= CURVATURE * -start.slope:
            return None
        if self._bracketed and (not self._least < step < self._most or self._is_narrow):
            return None  # rounding, or the interval, leaves nothing to be gained
        if step >= _LONGEST and value <= enough and slope <= wanted_slope:
            return None
        tilt = wanted_slope if self._early and enough < value <= self._best.value else 0.0
        step = self._step(_tilted(_Point(step, value, slope), -tilt), tilt)
        if self._bracketed:
            if abs(self._other.step - self._best.step) >= 0.66 * self._width_before:
                step = self._best.step + 0.5 * (self._other.step - self._best.step)
            self._width_before, self._width = self._width, abs(self._other.step - self._best.step)
            self._least, self._most = sorted((self._best.step, self._other.step))
        else:
            self._least = step + 1.1 * (step - self._best.step)
            self._most = step + 4.0 * (step - self._best.step)
        step = min(max(step, 0.0), _LONGEST)
        if self._bracketed and (not self._least < step < self._most or self._is_narrow):
            step = self._best.step
        return step

    @property
    def _is_narrow(self) -> bool:
        return self._most - self._least <= _INTERVAL * self._most

    def _step(self, now: _Point, tilt: float) -> float:
        """The next step by interpolation, after what is known of the interval was updated by `now`."""
        best, other = _tilted(self._best, -tilt), _tilted(self._other, -tilt)
        turned = now.slope * best.slope < 0
        if now.value > best.value:  # the minimum lies between
            cubic, quadratic = _cubic(best, now), _by_value(best, now)
            near = abs(cubic - best.step) <= abs(quadratic - best.step)
            step = cubic if near else cubic + (quadratic - cubic) / 2
            self._bracketed = True
            other = now
        else:
            if turned:  # the minimum lies between, too
                cubic, secant = _cubic(now, best), _secant(now, best)
                step = cubic if abs(cubic - now.step) > abs(secant - now.step) else secant
                self._bracketed = True
                other = best
            elif abs(now.slope) < abs(best.slope):  # the slope flattens
                end = self._most if now.step > best.step else self._least
                cubic, secant = _cubic_beyond(now, best, end), _secant(now, best)
                to_cubic, to_secant = abs(cubic - now.step), abs(secant - now.step)
                if self._bracketed:
                    step = cubic if to_cubic < to_secant else secant
                    limit = now.step + 0.66 * (other.step - now.step)
                    step = min(limit, step) if now.step > best.step else max(limit, step)
                else:
                    step = min(max(cubic if to_cubic > to_secant else secant, self._least), self._most)
            elif self._bracketed:
                step = _cubic(now, other)
            else:
                step = self._most if now.step > best.step else self._least
            best = now
        self._best, self._other = _tilted(best, tilt), _tilted(other, tilt)
        return step


def _tilted(point: _Point, slope: float) -> _Point:
    return _Point(point.step, point.value + point.step * slope, point.slope + slope) if slope else point


def _cubic(near: _Point, far: _Point) -> float:
    """The minimizer of the cubic through both values and slopes, as seen from `near`."""
    theta = 3 * (near.value - far.value) / (far.step - near.step) + near.slope + far.slope
    scale = max(abs(theta), abs(near.slope), abs(far.slope))
    root = max(0.0, (theta / scale) ** 2 - near.slope / scale * (far.slope / scale))
    gamma = math.copysign(scale * math.sqrt(root), far.step - near.step)
    ratio = (gamma - near.slope + theta) / (2 * gamma - near.slope + far.slope)
    return near.step + ratio * (far.step - near.step)


def _cubic_beyond(now: _Point, best: _Point, end: float) -> float:
    """The same where it lies beyond `now`; `end` where the cubic has no minimum there."""
    theta = 3 * (best.value - now.value) / (now.step - best.step) + best.slope + now.slope
    scale = max(abs(theta), abs(best.slope), abs(now.slope))
    gamma = scale * math.sqrt(max(0.0, (theta / scale) ** 2 - best.slope / scale * (now.slope / scale)))
    gamma = math.copysign(gamma, best.step - now.step)
    below = gamma + (best.slope - now.slope) + gamma
    ratio = (gamma - now.slope + theta) / below if below else 0.0
    return now.step + ratio * (best.step - now.step) if ratio < 0 and gamma else end


def _by_value(best: _Point, now: _Point) -> float:
    """The minimizer of the parabola through both values and the slope at `best`."""
    length = now.step - best.step
    return best.step + best.slope / ((best.value - now.value) / length + best.slope) / 2 * length


def _secant(now: _Point, best: _Point) -> float:
    """Where the slope would be zero if it changed evenly."""
    return now.step + now.slope / (now.slope - best.slope) * (best.step - now.step)
