//! The kinds of product in our own catalogue: what they are called, what they may be praised for, what one can choose.

/// One kind of product.
pub struct Kind {
    pub category: &'static str,
    pub query: &'static str,
    pub product_category: &'static str,
    pub noun: &'static str,
    pub attributes: &'static [&'static str],
    pub options: &'static [(&'static str, &'static [&'static str])],
    /// Dollars, from the cheapest to the dearest.
    pub prices: (u64, u64),
}

#[rustfmt::skip]
pub const KINDS: [Kind; 28] = [
    Kind {
        category: "beauty", query: "shampoo & conditioner", noun: "Moisturizing Shampoo", prices: (7, 45),
        product_category: "Beauty & Personal Care › Hair Care › Shampoo & Conditioner",
        attributes: &[
            "sulfate free", "paraben free", "cruelty free", "tea tree", "dry hair", "damaged hair",
            "natural ingredients",
        ],
        options: &[
            ("scent", &["lavender", "citrus mint", "coconut", "unscented"]),
            ("size", &["8 fl oz (pack of 1)", "16 fl oz (pack of 1)", "8 fl oz (pack of 2)"]),
        ],
    },
    Kind {
        category: "beauty", query: "face moisturizers", noun: "Facial Moisturizer Cream", prices: (9, 60),
        product_category: "Beauty & Personal Care › Skin Care › Face › Moisturizers",
        attributes: &["fragrance free", "oil free", "hyaluronic acid", "sensitive skin", "anti aging", "long lasting"],
        options: &[("size", &["1.7 ounce", "3 ounce", "travel size"])],
    },
    Kind {
        category: "beauty", query: "makeup brushes", noun: "Makeup Brush Set", prices: (8, 40),
        product_category: "Beauty & Personal Care › Tools & Accessories › Makeup Brushes",
        attributes: &["easy carry", "cruelty free", "soft bristles", "easy clean", "nylon hair"],
        options: &[("color", &["rose", "black", "pearl", "teal"]), ("pieces", &["8 pieces", "12 pieces", "18 pieces"])],
    },
    Kind {
        category: "beauty", query: "electric toothbrushes", noun: "Electric Toothbrush", prices: (15, 120),
        product_category: "Beauty & Personal Care › Oral Care › Electric Toothbrushes",
        attributes: &["fast charging", "waterproof", "sensitive teeth", "long lasting", "teeth whitening"],
        options: &[("color", &["white", "midnight", "pink"]), ("style", &["one handle", "two handles", "family set"])],
    },
    Kind {
        category: "fashion", query: "women's fashion sneakers", noun: "Running Shoes Sneakers", prices: (25, 110),
        product_category: "Clothing, Shoes & Jewelry › Women › Shoes › Fashion Sneakers",
        attributes: &["arch support", "non slip", "machine washable", "rubber sole", "memory foam"],
        options: &[("color", &["black", "white", "coral", "navy"]), ("size", &["6", "7", "8", "9"])],
    },
    Kind {
        category: "fashion", query: "men's dress shirts", noun: "Dress Shirt", prices: (18, 75),
        product_category: "Clothing, Shoes & Jewelry › Men › Clothing › Shirts › Dress Shirts",
        attributes: &["slim fit", "long sleeve", "easy care", "wrinkle resistant", "button closure"],
        options: &[("color", &["blue", "white", "burgundy"]), ("size", &["small", "medium", "large", "x-large"])],
    },
    Kind {
        category: "fashion", query: "women's leggings", noun: "Yoga Leggings Pants", prices: (14, 60),
        product_category: "Clothing, Shoes & Jewelry › Women › Clothing › Leggings",
        attributes: &["high waist", "tummy control", "moisture wicking", "quick drying", "nylon spandex"],
        options: &[("color", &["charcoal", "olive", "plum"]), ("size", &["small", "medium", "large"])],
    },
    Kind {
        category: "fashion", query: "men's hiking boots", noun: "Hiking Boots", prices: (40, 190),
        product_category: "Clothing, Shoes & Jewelry › Men › Shoes › Outdoor › Hiking Boots",
        attributes: &["water resistant", "steel toe", "slip resistant", "ankle support", "anti slip"],
        options: &[("color", &["brown", "granite"]), ("size", &["8", "9", "10", "11"])],
    },
    Kind {
        category: "fashion", query: "wrist watches", noun: "Quartz Wrist Watch", prices: (20, 240),
        product_category: "Clothing, Shoes & Jewelry › Men › Watches › Wrist Watches",
        attributes: &["stainless steel", "water resistant", "quartz movement", "easy read", "light weight"],
        options: &[("band color", &["silver", "black", "brown"])],
    },
    Kind {
        category: "garden", query: "sofas and couches", noun: "Sofa Couch", prices: (180, 1800),
        product_category: "Home & Kitchen › Furniture › Living Room Furniture › Sofas & Couches",
        attributes: &["solid wood", "easy assemble", "high density", "wood frame", "living room"],
        options: &[("color", &["grey", "dark green", "beige"]), ("size", &["2-seat", "3-seat", "sectional"])],
    },
    Kind {
        category: "garden", query: "table lamps", noun: "Bedside Table Lamp", prices: (15, 130),
        product_category: "Home & Kitchen › Lighting › Table Lamps",
        attributes: &["energy efficient", "dining room", "glass shade", "easy install", "bronze finish"],
        options: &[("color", &["amber", "white", "black"]), ("style", &["dimmable", "touch control", "pull chain"])],
    },
    Kind {
        category: "garden", query: "area rugs", noun: "Area Rug Carpet", prices: (25, 420),
        product_category: "Home & Kitchen › Home Décor › Rugs › Area Rugs",
        attributes: &["machine washable", "non slip", "stain resistant", "easy clean", "living room"],
        options: &[("color", &["ivory", "blue", "rust"]), ("size", &["3 ft x 5 ft", "5 ft x 8 ft", "8 ft x 10 ft"])],
    },
    Kind {
        category: "garden", query: "window curtains", noun: "Blackout Curtains", prices: (16, 90),
        product_category: "Home & Kitchen › Window Treatments › Curtains",
        attributes: &["machine washable", "heavy duty", "energy saving", "eco friendly", "noise reducing"],
        options: &[("color", &["grey", "navy", "wine"]), ("size", &["52 x 63 inch", "52 x 84 inch"])],
    },
    Kind {
        category: "garden", query: "bath towels", noun: "Bath Towel Set", prices: (12, 70),
        product_category: "Home & Kitchen › Bath › Towels",
        attributes: &["super soft", "quick drying", "machine washable", "high absorbent", "fade resistant"],
        options: &[("color", &["white", "sand", "sapphire"]), ("pieces", &["2 pieces", "4 pieces", "6 pieces"])],
    },
    Kind {
        category: "garden", query: "storage cabinets", noun: "Storage Cabinet", prices: (45, 380),
        product_category: "Home & Kitchen › Storage & Organization › Cabinets",
        attributes: &["space saving", "easy assemble", "wall mounted", "white finish", "adjustable shelves"],
        options: &[("color", &["walnut", "white", "espresso"])],
    },
    Kind {
        category: "garden", query: "garden hoses", noun: "Expandable Garden Hose", prices: (18, 80),
        product_category: "Patio, Lawn & Garden › Watering › Garden Hoses",
        attributes: &["leak proof", "heavy duty", "easy storage", "kink free", "brass fittings"],
        options: &[("size", &["25 ft", "50 ft", "100 ft"])],
    },
    Kind {
        category: "grocery", query: "vegetable chips", noun: "Crunchy Veggie Chips", prices: (4, 36),
        product_category: "Grocery & Gourmet Food › Snack Foods › Chips › Vegetable",
        attributes: &["gluten free", "low sodium", "non gmo", "nut free", "high fiber"],
        options: &[
            ("flavor name", &["sea salt", "barbecue", "ranch"]),
            ("size", &["5 ounce (pack of 1)", "5 ounce (pack of 6)"]),
        ],
    },
    Kind {
        category: "grocery", query: "herbal tea", noun: "Herbal Tea Bags", prices: (4, 28),
        product_category: "Grocery & Gourmet Food › Beverages › Tea › Herbal",
        attributes: &["caffeine free", "usda organic", "non gmo", "sugar free", "individually wrapped"],
        options: &[
            ("flavor name", &["mint leaf", "chamomile", "ginger", "hibiscus"]),
            ("size", &["20 count", "40 count"]),
        ],
    },
    Kind {
        category: "grocery", query: "protein bars", noun: "Protein Snack Bars", prices: (8, 42),
        product_category: "Grocery & Gourmet Food › Snack Foods › Bars › Protein",
        attributes: &["high protein", "low carb", "keto friendly", "gluten free", "soy free"],
        options: &[
            ("flavor name", &["peanut butter", "chocolate", "vanilla almond"]),
            ("size", &["6 count", "12 count"]),
        ],
    },
    Kind {
        category: "grocery", query: "ground coffee", noun: "Ground Coffee", prices: (7, 40),
        product_category: "Grocery & Gourmet Food › Beverages › Coffee › Ground",
        attributes: &["fair trade", "usda organic", "dark roast", "rich flavor", "artificial flavors free"],
        options: &[("size", &["12 ounce", "2 pound"]), ("style", &["medium grind", "espresso grind"])],
    },
    Kind {
        category: "grocery", query: "baking mixes", noun: "Pancake Baking Mix", prices: (4, 25),
        product_category: "Grocery & Gourmet Food › Cooking & Baking › Baking Mixes",
        attributes: &["gluten free", "dairy free", "plant based", "easy prepare", "whole grain"],
        options: &[("flavor name", &["buttermilk", "banana", "pumpkin"])],
    },
    Kind {
        category: "electronics", query: "earbud headphones", noun: "Wireless Earbuds Headphones", prices: (14, 160),
        product_category: "Electronics › Headphones › Earbud Headphones",
        attributes: &["noise cancelling", "hands free", "fast charging", "water resistant", "long lasting"],
        options: &[("color", &["midnight black", "white", "teal"])],
    },
    Kind {
        category: "electronics", query: "phone cases", noun: "Phone Case Cover", prices: (7, 35),
        product_category: "Cell Phones & Accessories › Cases, Holsters & Sleeves › Basic Cases",
        attributes: &["wireless charging", "non slip", "heavy duty", "screen protector", "shock proof"],
        options: &[("color", &["clear", "black", "lilac", "mint"]), ("size", &["regular", "plus", "mini"])],
    },
    Kind {
        category: "electronics", query: "usb cables", noun: "Charging Cable Cord", prices: (5, 24),
        product_category: "Electronics › Accessories & Supplies › Cables › USB Cables",
        attributes: &["fast charging", "high speed", "gold plated", "nylon braided", "tangle free"],
        options: &[("color", &["black", "silver"]), ("size", &["3 feet", "6 feet", "10 feet"])],
    },
    Kind {
        category: "electronics", query: "bluetooth speakers", noun: "Portable Bluetooth Speaker", prices: (18, 210),
        product_category: "Electronics › Portable Audio & Video › Bluetooth Speakers",
        attributes: &["stereo sound", "high power", "hands free", "dust proof", "easy carry"],
        options: &[("color", &["black", "blue", "camo"])],
    },
    Kind {
        category: "electronics", query: "security cameras", noun: "Home Security Camera", prices: (24, 300),
        product_category: "Electronics › Security & Surveillance › Home Security Cameras",
        attributes: &["motion detection", "night vision", "easy install", "two way audio", "high resolution"],
        options: &[("style", &["1 camera", "2 cameras", "4 cameras"])],
    },
    Kind {
        category: "electronics", query: "camera tripods", noun: "Camera Tripod Stand", prices: (16, 170),
        product_category: "Electronics › Camera & Photo › Tripods & Monopods",
        attributes: &["light weight", "carbon fiber", "quick release", "easy carry", "aluminum alloy"],
        options: &[("size", &["50 inch", "60 inch", "70 inch"]), ("color", &["black", "orange"])],
    },
    Kind {
        category: "electronics", query: "tv wall mounts", noun: "TV Wall Mount Bracket", prices: (15, 120),
        product_category: "Electronics › Television & Video › Mounts › Wall",
        attributes: &["easy install", "heavy duty", "full motion", "wall mounted", "steel frame"],
        options: &[("size", &["23-42 inch", "37-70 inch", "50-86 inch"])],
    },
];
