"""What the pages call each field, and where a person finds the answer."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A field's question, a hint that helps to answer it, and what to do if the answer is wrong."""

    label: str
    hint: str = ""
    wrong: str = ""


CUSTOMER_ID = "customer_id"
BIRTH = "Date_birth"
A_DATE = "Enter a valid date, as year-month-day, such as 1985-03-20."
WORDS = {
    CUSTOMER_ID: Words("Your customer number", "It is on your policy and on every letter from us.",
                       "Enter your customer number: up to 64 letters and digits."),
    BIRTH: Words("Your date of birth", "", A_DATE),
    "Date_driving_licence": Words("Driving licence issued on", "Field 4a of the licence.", A_DATE),
    "Type_risk": Words("What do you want to insure?"),
    "Year_matriculation": Words("Year of first registration", "For example 2008. Field B of the registration papers.",
                                "Enter the year with four digits, such as 2008."),
    "Power": Words("Engine power, in horsepower", "For example 90. One kW (field P.2) is 1.36 horsepower."),
    "Cylinder_capacity": Words("Cylinder capacity, in cm\u00b3",
                               "For example 1600. Field P.1 of the registration papers."),
    "Value_vehicle": Words("Price when new, in euros", "For example 17600. An estimate is fine."),
    "Type_fuel": Words("What fuel does it use?"),
    "Area": Words("Where do you mostly drive?"),
    "Second_driver": Words("Does someone else drive it regularly?"),
    "Date_renewal": Words("First day of cover", "The offer covers one year from this day.", A_DATE),
}  # fmt: skip
CHOICES = {
    "Area": {0: "In the countryside", 1: "In a town or city"},
    "Type_risk": {4: "Tractor or other farm vehicle"},
}
VEHICLE = ("Type_risk", "Year_matriculation", "Power", "Cylinder_capacity", "Value_vehicle", "Type_fuel")
COVER = ("Area", "Second_driver", "Date_renewal")
# Sections of a form: heading, fields.
NEW = (("You", (BIRTH, "Date_driving_licence")), ("The vehicle", VEHICLE), ("The cover", COVER))
EXISTING = (("You", (CUSTOMER_ID, BIRTH)), ("The vehicle", VEHICLE), ("The cover", COVER))
