return require("circle.first")
