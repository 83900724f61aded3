using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Adapters;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>A run of the authors' trainer that golden/sorsa stores: same start, same batches.</summary>
internal sealed class GoldenSorsaRun : IDisposable
{
    private readonly Generator _unused = new(0);

    private GoldenSorsaRun(string file, ScalarType type, Device device)
    {
        using JsonDocument settings = JsonDocument.Parse(File.ReadAllText(file));
        JsonElement run = settings.RootElement;
        Golden = Checkpoint.OpenFile(Path.ChangeExtension(file, ".safetensors"));
        Model = CausalLM.Load(GoldenRun.BaseOf(file, run), type, device);
        (Accumulation, Steps) = (run.GetProperty("accumulation").GetInt32(), run.GetProperty("steps").GetInt32());
        int rank = run.GetProperty("rank").GetInt32();
        double scale = run.GetProperty("alpha").ValueKind == JsonValueKind.Null ? 1 : run.GetProperty("alpha").GetDouble() / rank;

        // The authors' trainer divides the regularizer's gradient by the number of micro-batches, Eq. (11) does not
        // (test/data/golden/README.md).
        var rules = new SorsaMethod
        {
            Rank = rank,
            Gamma = run.GetProperty("gamma").GetDouble() / Accumulation,
            Decomposition = Decomposition.Drawn(_unused)
        };
        Adapters = AdapterSet.Inject(
            Model, [.. run.GetProperty("targets").EnumerateArray().Select(target => target.GetString()!)],
            new StoredMethod(
                (path, linear) => new SorsaLinear(
                    new PlainWeight(Start(path, "residual")), Start(path, "U"), Start(path, "s"), Start(path, "Vt"), linear.bias, scale),
                rules));
        Options = new SorsaFineTuningTrainer.Options().ToSettings().Training with
        {
            LearningRate = run.GetProperty("learning_rate").GetDouble(),
            WarmupRatio = run.GetProperty("warmup_ratio").GetDouble(),
            WeightDecay = run.GetProperty("weight_decay").GetDouble(),
            MaxGradNorm = run.GetProperty("max_grad_norm").GetDouble(),
        };

        Tensor Start(string path, string name) => Golden.Tensors[$"start.{path}.{name}"].to(type, device, copy: true);
    }

    public Checkpoint Golden { get; }

    public CausalLM Model { get; }

    public AdapterSet Adapters { get; }

    public TrainingSettings Options { get; }

    /// <summary>Optimizer steps.</summary>
    public int Steps { get; }

    /// <summary>Micro-batches a step.</summary>
    public int Accumulation { get; }

    /// <inheritdoc cref="GoldenRun.Open"/>
    public static GoldenSorsaRun Open(string file, ScalarType type, Device device) => new(file, type, device);

    /// <summary>Through the one loop; what each step reports.</summary>
    public List<SorsaTrainingProgress> Train()
    {
        var log = new List<SorsaTrainingProgress>();
        new TrainingLoop(Model, Adapters, Options).Run(
            GoldenBatches.Steps(Golden, Accumulation), Steps, validate: null, log.Add, CancellationToken.None);
        return log;
    }

    /// <summary>What the run logged: the mean over the micro-batches of each step.</summary>
    public double[] Logged(string name) =>
        Golden.Tensors["log." + name].to(ScalarType.Float64).reshape(Steps, -1).mean([1]).data<double>().ToArray();

    /// <summary>How far the trained tensors, and the merged weights, are from the run's.</summary>
    public double ParametersOff() => Adapters.Adapters.Max(named => named.Value.Trainable
        .Max(tensor => TensorDifference.Largest(tensor.Value, Golden.Tensors[$"end.{named.Key}.{tensor.Key}"])));

    /// <inheritdoc cref="ParametersOff"/>
    public double MergedOff()
    {
        using var scope = NewDisposeScope();
        return Adapters.Adapters.Max(
            named => TensorDifference.Largest(named.Value.MergedWeight(), Golden.Tensors[$"merged.{named.Key}.weight"]));
    }

    public void Dispose()
    {
        _unused.Dispose();
        Model.Dispose();
        Golden.Dispose();
    }
}
