CREATE DATABASE prefect; -- beside MLflow's own; runs once, on the first start of an empty volume
