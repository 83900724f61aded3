using Microsoft.ML;
using Microsoft.ML.Sorsa;
Console.WriteLine(TorchSharp.torch.zeros(2).sum().item<float>());
using var model = new MLContext().Sorsa().LoadModel(args[0]);
