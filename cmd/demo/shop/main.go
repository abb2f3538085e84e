// Command shop writes the shop's web site into a folder.
package main

import (
	"os"

	"example.com/shop/cart"
)

var stock = []cart.Item{{Name: "Tea", Price: 450, Count: 3}, {Name: "Cup", Price: 1200, Count: 1}}

func main() {
	dir := "dist"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	page := "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Shop</title>\n" +
		"<h1>Tea shop</h1>\n<p>Today's basket:</p>\n<ul>\n"
	for _, item := range stock {
		page += "<li>" + item.Name + ": " + euros(item.Price) + "</li>\n"
	}
	page += "</ul>\n<p>Three teas and a cup cost <b>" + euros(cart.Total(stock)) + "</b>.</p>\n</html>\n"

	for _, err := range []error{
		os.MkdirAll(dir, 0o755),
		os.WriteFile(dir+"/index.html", []byte(page), 0o644),
		os.WriteFile(dir+"/up", []byte("ok\n"), 0o644),
	} {
		if err != nil {
			println("shop:", err.Error())
			os.Exit(1)
		}
	}
}

// euros writes cents as people read them.
func euros(cents int) string {
	digits := func(n int) string { return string([]byte{byte('0' + n/10%10), byte('0' + n%10)}) }
	whole := ""
	for n := cents / 100; n > 0 || whole == ""; n /= 10 {
		whole = string(byte('0'+n%10)) + whole
	}
	return "€" + whole + "." + digits(cents%100)
}
