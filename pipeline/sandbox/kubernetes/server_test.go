package kubernetes

const serverArg = "kubernetes-server"

func serve(kubeconfig, image, dir, ref string) {}
