// MongoDB's health check: the product's user can log in. It creates the users where they are missing, so a volume of a
// stack that had none gets them as well, and it changes the product's password once MONGODB_PASSWORD was changed.
//
// mongod runs with --auth. As long as it has no user at all, it lets a client on its own 127.0.0.1 create the first one,
// and nobody do anything else (MongoDB's localhost exception). `admin` manages users and reads no data.
const admin = db.getSiblingDB("admin");
const product = ["scorehouse", process.env.MONGODB_PASSWORD];
const manager = ["admin", process.env.MONGODB_ADMIN_PASSWORD];

function logIn([name, password]) {
  try {
    return admin.auth(name, password).ok === 1;
  } catch (error) {
    if (error.codeName !== "AuthenticationFailed") throw error;
    return false;
  }
}

if (!logIn(product)) {
  if (!logIn(manager)) {
    admin.createUser({ user: manager[0], pwd: manager[1], roles: ["userAdminAnyDatabase"] });
    logIn(manager);
  }
  const rights = { pwd: product[1], roles: [{ role: "readWrite", db: "scorehouse" }] };
  if (admin.getUser(product[0])) admin.updateUser(product[0], rights);
  else admin.createUser({ user: product[0], ...rights });
}
