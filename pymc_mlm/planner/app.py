"""The page: controls at the left; curve, error rates and code at the right."""

from __future__ import annotations

from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.planner import answers
from pymc_mlm.planner.choices import MOST_OUTCOMES, RULES, Choices

CLUSTERED = "input.clustered"


def app() -> Any:
    """Return the application.

    Returns
    -------
    shiny.App
    """
    from shiny import App

    return App(_page(), _server)


def _page() -> Any:
    from shiny import ui

    def outcome(k: int) -> Any:
        success, effect = f"Outcome {k}: success, control", f"Outcome {k}: effect"
        return ui.panel_conditional(
            f"Number(input.outcomes) >= {k}",
            ui.input_slider(f"control{k}", success, 0.02, 0.98, 0.4, step=0.01),
            ui.input_slider(f"effect{k}", effect, -0.3, 0.5, 0.15, step=0.01),
        )

    numbers = [str(k) for k in range(1, MOST_OUTCOMES + 1)]
    sidebar = ui.sidebar(
        ui.input_select("rule", "Decide by", RULES),
        ui.input_select("outcomes", "Outcomes", numbers, selected="2"),
        *map(outcome, range(1, MOST_OUTCOMES + 1)),
        ui.input_slider("correlation", "Correlation of outcomes", -0.5, 0.9, 0.3, step=0.05),
        ui.input_slider("dropout", "Dropout", 0.0, 0.5, 0.0, step=0.01),
        ui.input_slider("alpha", "One-sided type I error", 0.005, 0.1, 0.05, step=0.005),
        ui.input_slider("power", "Power that is needed", 0.5, 0.99, 0.8, step=0.01),
        ui.input_checkbox("clustered", "Whole clusters are randomised"),
        ui.panel_conditional(
            f"!{CLUSTERED}", ui.input_slider("patients", "Patients per arm", 5, 1000, 150)
        ),
        ui.panel_conditional(
            CLUSTERED,
            ui.input_slider("clusters", "Clusters per arm", 2, 100, 15),
            ui.input_slider("size", "Patients per cluster", 1, 100, 15),
            ui.input_slider("icc", "Intraclass correlation", 0.0, 0.5, 0.05, step=0.005),
        ),
        width=340,
    )  # fmt: skip
    return ui.page_sidebar(
        sidebar,
        ui.output_text("message"),
        ui.output_plot("curve", height="420px"),
        ui.output_code("rates"),
        ui.input_action_button("simulate", "Simulate the largest type I error"),
        ui.output_code("worst"),
        ui.output_code("code"),
        ui.download_button("script", "Save as code"),
        title="Plan a trial",
    )


def read_choices(values: Any) -> Choices:
    """Return the choices of the page's controls.

    Parameters
    ----------
    values : mapping of str to callable
        The controls by their names; a call gives the value.
    """
    count = range(1, int(values["outcomes"]()) + 1)
    clustered = bool(values["clustered"]())
    return Choices(
        control=tuple(float(values[f"control{k}"]()) for k in count),
        effects=tuple(float(values[f"effect{k}"]()) for k in count),
        rule=str(values["rule"]()),
        number=int(values["clusters" if clustered else "patients"]()),
        alpha=float(values["alpha"]()),
        power=float(values["power"]()),
        correlation=float(values["correlation"]()),
        dropout=float(values["dropout"]()),
        cluster_size=int(values["size"]()) if clustered else 0,
        icc=float(values["icc"]()) if clustered else 0.0,
    )


def _server(input: Any, output: Any, session: Any) -> None:
    from shiny import reactive, render, req

    @reactive.calc
    def checked() -> tuple[Choices, str]:
        choices = read_choices(input)
        try:
            choices.design()
        except SpecificationError as error:
            return choices, str(error)
        return choices, ""

    def possible() -> Choices:
        choices, message = checked()
        req(not message)
        return choices

    @render.text
    def message() -> str:
        return checked()[1] or "The design is possible."

    @render.plot(alt="Power against the size of the trial")
    def curve() -> Any:
        return answers.power_curve(possible())

    @render.code
    def rates() -> str:
        return answers.text(possible())

    @render.code
    @reactive.event(input.simulate)
    def worst() -> str:
        return answers.worst_error(possible())

    @render.code
    def code() -> str:
        return possible().code()

    @render.download_button(filename="design.py")
    def script() -> Any:
        yield possible().code() + "\n"
