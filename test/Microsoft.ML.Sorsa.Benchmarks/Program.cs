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

        case "generation":
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
            Console.Error.WriteLine("""
                Usage: Microsoft.ML.Sorsa.Benchmarks NAME ..., where NAME ... is one of
                    step [model folder] [rounds] [methods...] [--device cpu|cuda] [--type float32|bfloat16] [--batch 1] [--tokens 256]
                    parts [model folder] [rounds] [methods...] [--device cpu|cuda] [--type float32|bfloat16] [--batch 1] [--tokens 256]
                          [--operations]
                    memory [model folder] [steps] [--device cpu|cuda] [--type float32|bfloat16]
                    checkpointing [model folder] [rounds]
                    service [model folder] [kinds...]
                    generation [model folder] [new tokens] [rounds] [--device cpu|cuda] [--type float32|bfloat16]
                    chat [model folder] [callers] [new tokens] [rounds]
                    gguf [model folder] [rounds]
                    llama [model folder] [new tokens] [rounds] [--type float32|bfloat16]
                    estimate [config.json] [tokens]
                    ranks [model folder] [rounds] [--tokens 256], started by mpirun
                    init [rank] [rounds] [--device cpu|cuda] [--hidden 4096] [--intermediate 11008] [--layers 32] [--exact]
                    adapter [model folder] [rounds] [--device cpu|cuda] [--type float32|bfloat16]
                    nf4 [model folder] [rank] [--device cpu|cuda] [--type float32|bfloat16]
                    bits [--device cpu|cuda] [--type float32|bfloat16]
                    checkpoint-cost [model folder] [rounds] [--device cpu|cuda] [--type float32|bfloat16] [--rank 16]
                    gpu [--device cuda] [--type bfloat16] [--model FOLDER] [--budget SECONDS] [--rows BEGINNING,...] [--small]
                    gpu-model FOLDER [--layers 32] [--hidden 4096] [--intermediate 11008] [--heads 32] [--vocabulary 32000] [--device cpu]
                    resume [trainings]
                    kills [kills]
                    sweep [model folder] [trials]
                    contention [rows] [rounds]
                    tokenizers [folder of shared data]
                    graders [folder of golden rows] [--show]
                    analysis [model folder] [rounds] [--device cpu|cuda]
                """);
            return 1;
    }
}
catch (ArgumentException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
