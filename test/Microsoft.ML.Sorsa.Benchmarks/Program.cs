using Microsoft.ML.Sorsa.Benchmarks;

switch (args.FirstOrDefault())
{
    case "tokenizers":
        TokenizerSpeed.Run(args[1..]);
        return 0;

    default:
        Console.Error.WriteLine("Usage: Microsoft.ML.Sorsa.Benchmarks tokenizers [folder of shared data]");
        return 1;
}
