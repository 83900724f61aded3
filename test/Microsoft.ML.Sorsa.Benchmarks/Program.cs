using Microsoft.ML.Sorsa.Benchmarks;

switch (args.FirstOrDefault())
{
    case "tokenizers":
        TokenizerSpeed.Run(args[1..]);
        return 0;

    case "generation":
        GenerationSpeed.Run(args[1..]);
        return 0;

    case "step":
        StepSpeed.Run(args[1..]);
        return 0;

    case "adapter":
        AdapterSpeed.Run(args[1..]);
        return 0;

    case "nf4":
        Nf4Storage.Run(args[1..]);
        return 0;

    case "memory":
        TrainingMemory.Run(args[1..]);
        return 0;

    case "service":
        return ServiceMemory.Run(args[1..]);

    case ServiceMemory.RoundsVerb:
        return ServiceMemory.Rounds(args[1], args[2], args[3]);

    case "checkpointing":
        StepMemory.Run(args[1..]);
        return 0;

    case "sweep":
        SweepSpeed.Run(args[1..]);
        return 0;

    case "bits":
        TrainingBits.Run();
        return 0;

    case "contention":
        return Contention.Run(args[1..]);

    case Contention.TrainVerb:
        return Contention.Train(args[1]);

    case Contention.BusyVerb:
        return Contention.Busy();

    case "kills":
        return SweepKills.Run(args[1..]);

    case SweepKills.CallerVerb:
        return SweepKills.Caller(args[1]);

    case SweepKills.WorkerVerb:
        return SweepKills.Worker(args[1]);

    case "resume":
        return KilledTrainings.Run(args[1..]);

    case KilledTrainings.TrainVerb:
        return KilledTrainings.Train(args[1], args[2], args[3], args[4]);

    default:
        Console.Error.WriteLine("Usage: Microsoft.ML.Sorsa.Benchmarks tokenizers [folder of shared data]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks generation [model folder] [new tokens] [rounds]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks step [model folder] [rounds] [methods...]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks memory [model folder] [steps]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks service [model folder] [kinds...]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks checkpointing [model folder] [rounds]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks adapter [model folder] [rounds]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks nf4 [model folder] [rank]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks bits");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks sweep [model folder] [trials]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks kills [kills]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks contention [rows] [rounds]");
        Console.Error.WriteLine("       Microsoft.ML.Sorsa.Benchmarks resume [trainings]");
        return 1;
}
