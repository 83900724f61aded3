using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.AdaLora;
using Microsoft.ML.Sorsa.Adapters.Dora;
using Microsoft.ML.Sorsa.Adapters.GaLore;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Pissa;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Adapters;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>A run that golden/peft or golden/galore stores: its settings, its model at the start, what its tensors are called.</summary>
internal sealed class GoldenRun : IDisposable
{
    private static readonly string[] s_targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    private readonly JsonDocument _settings;
    private readonly Generator _unused = new(0);

    private readonly Device _device;

    private GoldenRun(string file, ScalarType type, Device device)
    {
        _device = device;
        _settings = JsonDocument.Parse(File.ReadAllText(file));
        Golden = Checkpoint.OpenFile(Path.ChangeExtension(file, ".safetensors"));
        JsonElement run = _settings.RootElement;
        Steps = run.GetProperty("steps").GetInt32();
        Model = CausalLM.Load(BaseOf(file, run), type, device);
        string[] targets = run.TryGetProperty("targets", out JsonElement named) && named.ValueKind == JsonValueKind.Array
            ? [.. named.EnumerateArray().Select(target => target.GetString()!)]
            : s_targets;
        Adapters = AdapterSet.Inject(Model, targets, Method(Path.GetFileNameWithoutExtension(file), run, type));
        Options = new SorsaFineTuningTrainer.Options().ToSettings().Training with
        {
            LearningRate = run.GetProperty("learning_rate").GetDouble(),
            WarmupRatio = run.GetProperty("warmup_steps").GetDouble() / Steps,
            WeightDecay = run.GetProperty("weight_decay").GetDouble(),
            MaxGradNorm = run.GetProperty("max_grad_norm").GetDouble(),
        };
    }

    public Checkpoint Golden { get; }

    public int Steps { get; }

    public CausalLM Model { get; }

    public AdapterSet Adapters { get; }

    public TrainingSettings Options { get; }

    /// <summary>Its model, with adapters that start where the run started.</summary>
    /// <param name="file">Its settings; the tensors lie beside them, and the models in a folder beside that of the runs.</param>
    /// <param name="type">In which everything is computed.</param>
    /// <param name="device">Where.</param>
    public static GoldenRun Open(string file, ScalarType type, Device device) => new(file, type, device);

    /// <summary>The folder of the model that a run started from.</summary>
    public static string BaseOf(string file, JsonElement run) => Path.Combine(
        Path.GetDirectoryName(file)!, "..", "models", run.GetProperty("base").GetString()!);

    /// <summary>A trained tensor at the "start" or the "end", under PEFT's name or the model's; null where the run stores none.</summary>
    public Tensor? Stored(string when, string name)
    {
        string[] names = [$"{when}.{name}", $"{when}.base_model.model.{name}.default", $"{when}.base_model.model.{name}.default.weight"];
        return names.Select(stored => Golden.Tensors.GetValueOrDefault(stored)).FirstOrDefault(tensor => tensor is not null);
    }

    /// <summary>How far the scores on the first batch are from the run's, in evaluation; 0 where it stores none.</summary>
    public double LogitsOff(string when)
    {
        if (!Golden.Tensors.TryGetValue($"{when}.logits", out Tensor? expected))
        {
            return 0;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Model.train(false);
        Tensor logits = Model.Logits(Model.Forward(Model.Embed(Golden.Tensors["batches.input_ids"][0].to(_device))));
        return TensorDifference.Largest(logits, expected);
    }

    /// <summary>AdaLoRA: 1 for every singular value that is not zero, modules in ordinal order.</summary>
    public byte[] KeptTriplets() =>
        [.. Adapters.Adapters.OrderBy(named => named.Key, StringComparer.Ordinal).Select(named => named.Value).OfType<AdaLoraLinear>()
            .SelectMany(adapter => adapter.E.ne(0).to(ScalarType.Byte).flatten().cpu().data<byte>().ToArray())];

    public void Dispose()
    {
        _unused.Dispose();
        Model.Dispose();
        Golden.Dispose();
        _settings.Dispose();
    }

    /// <summary>The method, with adapters that start where the run started.</summary>
    private AdapterMethod Method(string name, JsonElement run, ScalarType type)
    {
        int rank = run.TryGetProperty("r", out JsonElement r) ? r.GetInt32() : 0;
        double alpha = run.TryGetProperty("alpha", out JsonElement a) ? a.GetDouble() : 0;
        switch (name)
        {
            case "lora" or "rslora":
                return new StoredMethod((path, linear) => new LoraLinear(
                    new PlainWeight(linear.weight), Start(path, "lora_A"), Start(path, "lora_B"), linear.bias,
                    name == "lora" ? alpha / rank : alpha / Math.Sqrt(rank)));

            case "dora":
                return new StoredMethod((path, linear) => new DoraLinear(
                    new PlainWeight(linear.weight), Start(path, "lora_A"), Start(path, "lora_B"), Start(path, "lora_magnitude_vector"),
                    linear.bias, alpha / rank));

            case "pissa":
                return new StoredMethod((path, linear) =>
                {
                    Tensor left = Start(path, "lora_A"), right = Start(path, "lora_B");

                    // As PEFT: the residual in float32.
                    Tensor product = right.to(ScalarType.Float32).mm(left.to(ScalarType.Float32));
                    Tensor residual = linear.weight.to(ScalarType.Float32) - (alpha / rank * product);
                    return new LoraLinear(new PlainWeight(residual.detach().to(type)), left, right, linear.bias, alpha / rank);
                });

            case "adalora":
                int initial = run.GetProperty("init_r").GetInt32();
                var rules = new AdaLoraMethod
                {
                    Rank = initial,
                    Alpha = alpha,
                    Gamma = run.GetProperty("orth_reg_weight").GetDouble(),
                    TotalSteps = run.GetProperty("total_step").GetInt32(),
                    Initialization = _unused,
                    Budget = new RankBudget
                    {
                        TargetRank = run.GetProperty("target_r").GetInt32(),
                        WarmupSteps = run.GetProperty("tinit").GetInt32(),
                        FinalSteps = run.GetProperty("tfinal").GetInt32(),
                        Interval = run.GetProperty("deltaT").GetInt32(),
                        Beta1 = run.GetProperty("beta1").GetDouble(),
                        Beta2 = run.GetProperty("beta2").GetDouble(),
                    },
                };
                return new StoredMethod(
                    (path, linear) => new AdaLoraLinear(
                        new PlainWeight(linear.weight), Start(path, "lora_A"), Start(path, "lora_E"), Start(path, "lora_B"), linear.bias,
                        rules.Scale),
                    rules);

            case "full" or "partial-qv":
                return new WeightMethod { Everything = name == "full" };

            case not null when name.StartsWith("galore", StringComparison.Ordinal):
                return new GaLoreMethod
                {
                    Rank = run.GetProperty("rank").GetInt32(),
                    Projection = new GradientProjection
                    {
                        UpdateSteps = run.GetProperty("update_proj_gap").GetInt32(),
                        Scale = run.GetProperty("scale").GetDouble(),
                        TargetsOnly = !run.GetProperty("trains_the_rest").GetBoolean(),
                    },
                    Seed = 0,
                };

            default:
                throw new NotSupportedException($"No method is known for the run '{name}'.");
        }

        Tensor Start(string path, string part) => Stored("start", $"{path}.{part}")!.to(type, _device, copy: true);
    }
}
