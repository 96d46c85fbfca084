"""Laws of pictures: every label can be read."""

from itertools import combinations

import pytest
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.plots import plot_forest, plot_trace
from pymc_mlm.terms.role import Role

ROLES = {
    "beta": Role("coefficient", "homework hours"),
    "district_sd": Role("sd", "sd(homework hours)", "school district"),
    "district_cor": Role("sd", "cor(Intercept, homework hours)", "school district"),
    "school_cor": Role("sd", "cor(homework hours per week, income of the family)", "school"),
    "sigma": Role("family", "sigma"),
}


class Specification:
    """Stands for a model: roles and a title."""

    def __init__(self, roles):
        self.known = roles

    def roles(self, design):
        return self.known

    def title(self, design):
        return "Long labels"


@pytest.fixture
def fit(rng):
    draws = {name: (("chain", "draw"), rng.normal(size=(2, 50))) for name in ROLES}
    posterior = xr.Dataset(draws, coords={"chain": range(2), "draw": range(50)})
    tree = xr.DataTree.from_dict({"posterior": posterior})
    return Fit(Specification(ROLES), None, tree)


def boxes(figure, axes):
    """Where the texts of all axes stand, by their words, in pixels."""
    figure.canvas.draw()
    texts = [t for ax in axes for t in (ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label)]
    return {t.get_text(): t.get_window_extent() for t in texts if t.get_text()}


def test_long_names_in_a_trace_plot_do_not_overlap(fit):
    collection = plot_trace(fit)
    figure = collection.viz["figure"].item()
    found = boxes(figure, figure.axes)
    assert {role.text() for role in ROLES.values()} <= set(found)
    assert not [pair for pair in combinations(found, 2) if found[pair[0]].overlaps(found[pair[1]])]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in found.values())


def test_axes_are_labelled_as_arviz_does_if_asked(fit):
    collection = plot_trace(fit, visuals={"label": {}})
    axes = collection.get_target("sigma", {"column": "trace"})
    assert axes.get_ylabel() == "sigma"


def test_long_names_in_a_forest_plot_end_before_the_intervals(fit):
    collection = plot_forest(fit)
    figure = collection.viz["figure"].item()
    figure.canvas.draw()
    labels = collection.viz["plot"].sel(column="labels").item()
    start = collection.viz["plot"].sel(column="forest").item().get_window_extent().x0
    assert len(labels.texts) == len(ROLES)
    assert all(text.get_window_extent().x1 <= start for text in labels.texts)


@pytest.mark.parametrize("plot", [plot_forest, plot_trace])
def test_parameters_are_chosen_by_their_name_in_the_summary_or_the_posterior(fit, plot):
    collection = plot(fit, var_names=["sigma", "district_sd"])
    shown = ROLES["district_sd"].text()
    assert set(collection.viz["plot"].coords) >= {"column"}
    figure = collection.viz["figure"].item()
    figure.canvas.draw()
    texts = {t.get_text() for ax in figure.axes for t in [ax._left_title, *ax.texts]}
    assert {"sigma", shown} <= texts
    assert ROLES["beta"].text() not in texts


@pytest.mark.parametrize("plot", [plot_forest, plot_trace])
def test_an_unknown_parameter_is_named_with_those_that_there_are(fit, plot):
    with pytest.raises(SpecificationError, match=r"'tau' is no parameter.*homework hours"):
        plot(fit, var_names=["tau"])


@pytest.mark.parametrize("plot", [plot_forest, plot_trace])
def test_other_backends_draw_too(fit, plot):
    assert plot(fit, backend="none").backend == "none"
