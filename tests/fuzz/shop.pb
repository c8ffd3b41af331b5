
»

shop.protoshop"W
Item

id (
name (	
parts (2
.shop.Item
sum (
price (2F
Shop
Get
.shop.Item
.shop.Item
All
.shop.Item
.shop.Item0bproto3