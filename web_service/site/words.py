"""What the pages call each field, and where a person finds what to write into it."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A field's question, what helps to answer it, and what to do when the answer is not right."""

    label: str
    hint: str = ""
    wrong: str = ""


CUSTOMER_ID, BIRTH = "customer_id", "Date_birth"
A_DATE = "Give a day that the calendar has: year, month, day, such as 1985-03-20."
WORDS = {
    CUSTOMER_ID: Words("Your customer number", "It stands on your policy and on each of our letters.",
                       "Give your customer number: up to 64 letters and digits."),
    BIRTH: Words("Your date of birth", "", A_DATE),
    "Date_driving_licence": Words("Your driving licence is from", "The day of issue: field 4a of the licence.", A_DATE),
    "Type_risk": Words("What do you want to insure?"),
    "Year_matriculation": Words("Year of its first registration", "Such as 2008: field B of its papers.",
                                "Give the year with four digits, such as 2008."),
    "Power": Words("Engine power, in horsepower", "Such as 90. One kW (field P.2) is 1.36."),
    "Cylinder_capacity": Words("Cylinder capacity, in cm\u00b3", "Such as 1600: field P.1 of its papers."),
    "Value_vehicle": Words("Its price when new, in euros", "Such as 17600; about will do."),
    "Type_fuel": Words("What does it run on?"),
    "Area": Words("Where do you mostly drive?"),
    "Second_driver": Words("Does someone else drive it regularly?"),
    "Date_renewal": Words("First day of cover", "The offer is for one year from that day.", A_DATE),
}  # fmt: skip
CHOICES = {"Area": {0: "In the country", 1: "In a town"}, "Type_risk": {4: "Tractor or other farm vehicle"}}
VEHICLE = ("Type_risk", "Year_matriculation", "Power", "Cylinder_capacity", "Value_vehicle", "Type_fuel")
COVER = ("Area", "Second_driver", "Date_renewal")
# A section: its heading and its fields.
NEW = (("You", (BIRTH, "Date_driving_licence")), ("The vehicle", VEHICLE), ("The cover", COVER))
EXISTING = (("You", (CUSTOMER_ID, BIRTH)), ("The vehicle", VEHICLE), ("The cover", COVER))
