using Microsoft.ML.Sorsa.Tool;

return SorsaTool.Run(args, Console.In, Console.Out, Console.Error);
