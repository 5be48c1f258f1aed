module securechat-example

go 1.19
