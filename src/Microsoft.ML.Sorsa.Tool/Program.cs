using Microsoft.ML.Sorsa.Tool;

return CommandLine.Run(args, Console.In, Console.Out, Console.Error);
