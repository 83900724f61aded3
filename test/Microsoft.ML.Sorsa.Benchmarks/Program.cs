using Microsoft.ML.Sorsa.Benchmarks;
using Microsoft.ML.Sorsa.Benchmarks.Gpu;
using Microsoft.ML.Sorsa.Benchmarks.Profile;

try
{
    switch (args.FirstOrDefault())
    {
        case "tokenizers":
            TokenizerSpeed.Run(args[1..]);
            return 0;

        case "decode":
            GenerationSpeed.Run(args[1..]);
            return 0;

        case "chat":
            ChatSpeed.Run(args[1..]);
            return 0;

        case "gguf":
            GgufSpeed.Run(args[1..]);
            return 0;

        case "llama":
            LlamaSpeed.Run(args[1..]);
            return 0;

        case "step":
            StepSpeed.Run(args[1..]);
            return 0;

        case "parts":
            StepParts.Run(args[1..]);
            return 0;

        case "products":
            ProductSpeed.Run(args[1..]);
            return 0;

        case "rows":
            RowSpeed.Run(args[1..]);
            return 0;

        case "ranks":
            RankSpeed.Run(args[1..]);
            return 0;

        case "init":
            InitSpeed.Run(args[1..]);
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

        case "graders":
            GraderAgreement.Run(args[1..]);
            return 0;

        case "analysis":
            AnalysisSpeed.Run(args[1..]);
            return 0;

        case "estimate":
            MemoryTable.Run(args[1..]);
            return 0;

        case "sweep":
            SweepSpeed.Run(args[1..]);
            return 0;

        case "bits":
            TrainingBits.Run(args[1..]);
            return 0;

        case "checkpoint-cost":
            CheckpointCost.Run(args[1..]);
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

        case "gpu":
            return GpuCheck.Run(args[1..]);

        case "gpu-model":
            RandomModel.Run(args[1..]);
            return 0;

        case "resume":
            return KilledTrainings.Run(args[1..]);

        case KilledTrainings.TrainVerb:
            return KilledTrainings.Train(args[1..]);

        default:
            Console.Error.WriteLine(args is [var verb, ..] ? $"There is no benchmark '{verb}'." : "No benchmark is named.");
            Console.Error.WriteLine(Usage.All);
            return 1;
    }
}
catch (ArgumentException error)
{
    Console.Error.WriteLine(error.Message);
    Console.Error.WriteLine(Usage.Of(args[0]));
    return 1;
}
