return require("circle.second")
