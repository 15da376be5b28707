CREATE DATABASE prefect; -- beside MLflow's own; run once, on the first start of an empty volume
