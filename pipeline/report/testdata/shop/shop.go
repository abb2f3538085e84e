package shop

func Name() string { return "shop" }
