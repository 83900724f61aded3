using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks.Gpu;

/// <summary>
/// Every method on a small model through the public surface: it learns, its merge computes what its adapters did, the same seed gives the
/// same bits, and so does a training that was interrupted.
/// </summary>
internal sealed class TrainingChecks(string folder, Device device)
{
    private const int Steps = 10, Interrupted = 4;

    private readonly string _model = TrainingBits.GoldenModel(folder);
    private readonly MLContext _mlContext = TestDevice.ContextOf(device);
    private readonly Dictionary<string, byte[]> _bits = new(StringComparer.Ordinal);
    private int _folders;

    public void Run(GuardedRows rows)
    {
        string[] names = [.. TrainingBits.Methods().Select(method => method.Name)];
        foreach (string name in names)
        {
            rows.Run($"method {name}", () => Learns(name));
        }

        foreach (string name in names)
        {
            rows.Run($"bits {name}", () => Same(name, Fit(Options(name)), "a second time"));
            rows.Run($"resume {name}", () => Same(name, Interrupt(Options(name)), "interrupted and gone on with"));
        }

        rows.Run("nf4", Nf4);
        rows.Run("decomposition", Decomposed);
    }

    /// <summary>The same with dropout: at the end, since it once ended the process.</summary>
    public void RunDropout(GuardedRows rows)
    {
        foreach (string name in TrainingBits.Methods().Where(method => method.Options.Dropout > 0).Select(method => method.Name))
        {
            rows.Run($"dropout {name}", () =>
            {
                byte[] plain = BitsOf(name), first = Fit(Options(name, dropout: true));
                Check.That(!first.SequenceEqual(plain), "the weights are those without dropout");
                Check.That(Fit(Options(name, dropout: true)).SequenceEqual(first), "the same seed gave other weights");
                Check.That(Interrupt(Options(name, dropout: true)).SequenceEqual(first), "a training that went on gave other weights");
                return "the same bits three times, once interrupted";
            });
        }
    }

    private string Learns(string name)
    {
        SorsaFineTuningTrainer.Options options = Options(name);
        var log = new List<SorsaTrainingProgress>();
        options.Progress = new Listener(log.Add);
        options.EvaluationSteps = Steps;
        IDataView data = _mlContext.Data.LoadFromEnumerable(TrainingBits.GoldenRows());
        using SorsaTransformer trained = _mlContext.Sorsa().FineTune(options).Fit(data, data);
        double before = log[0].Loss, adapted = log[^1].ValidationLoss!.Value, merged = Loss(trained.Model.Network!, options);
        string saved = NewFolder();
        trained.SaveHuggingFace(saved);
        using CausalLM read = CausalLM.Load(saved, ScalarType.Float32, CPU);
        double file = Loss(read, options);
        Check.That(adapted < before, FormattableString.Invariant($"the loss went from {before:F4} to {adapted:F4}"));
        Check.Within(Math.Abs(merged - adapted), TestDevice.Limit(1e-5, device), "the merged model's loss, from that of the adapters,");
        Check.Within(Math.Abs(file - merged), TestDevice.Limit(1e-5, device), "the loss of the saved model on the CPU");
        return FormattableString.Invariant($"loss {before:F4} to {adapted:F4}; merged {Math.Abs(merged - adapted):0.0e0} off, ")
            + FormattableString.Invariant($"its files on the CPU {Math.Abs(file - merged):0.0e0}");
    }

    private string Same(string name, byte[] bits, string how)
    {
        Check.That(bits.SequenceEqual(BitsOf(name)), $"{how} the same seed, the weights are others");
        return "the same bits";
    }

    private byte[] BitsOf(string name)
    {
        if (!_bits.TryGetValue(name, out byte[]? bits))
        {
            bits = _bits[name] = Fit(Options(name));
        }

        return bits;
    }

    /// <summary>Trains, and gives the bits of the merged weights.</summary>
    private byte[] Fit(SorsaFineTuningTrainer.Options options)
    {
        using SorsaTransformer trained =
            _mlContext.Sorsa().FineTune(options).Fit(_mlContext.Data.LoadFromEnumerable(TrainingBits.GoldenRows()));
        string saved = NewFolder();
        trained.SaveHuggingFace(saved);
        return File.ReadAllBytes(Path.Combine(saved, "model.safetensors"));
    }

    private byte[] Interrupt(SorsaFineTuningTrainer.Options options)
    {
        (options.CheckpointFolder, options.CheckpointSteps) = (NewFolder(), Interrupted);
        using var cancellation = new CancellationTokenSource();
        options.CancellationToken = cancellation.Token;
        options.Progress = new Listener(step =>
        {
            if (step.Step == Interrupted)
            {
                cancellation.Cancel();
            }
        });
        try
        {
            Fit(options);
        }
        catch (OperationCanceledException)
        {
            var steps = new List<int>();
            (options.CancellationToken, options.Resume) = (CancellationToken.None, ResumeMode.Required);
            options.Progress = new Listener(step => steps.Add(step.Step));
            byte[] bits = Fit(options);
            Check.That(steps[0] == Interrupted + 1, $"it went on with step {steps[0]}");
            return bits;
        }

        throw new InvalidDataException("the training was not interrupted");
    }

    private SorsaFineTuningTrainer.Options Options(string name, bool dropout = false)
    {
        SorsaFineTuningTrainer.Options options = TrainingBits.Methods().Single(method => method.Name == name).Options;
        options.ModelFolder = _model;
        options.PromptTemplate = PromptTemplate.Format("{prompt} = ");
        options.MaxSteps = Steps;
        options.Dropout = dropout ? options.Dropout : 0;
        return options;
    }

    private double Loss(CausalLM model, SorsaFineTuningTrainer.Options options)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(_model, model.Spec.VocabularySize);
        var encoder = new ExampleEncoder(
            new PromptEncoder(tokenizer, options.PromptTemplate, options.MaxPromptLength), tokenizer.EosTokenId!.Value,
            options.MaxResponseLength, model.Spec.MaxPositions);
        IReadOnlyList<SupervisedExample> rows = encoder.Encode(
            TrainingBits.GoldenRows().Select(row => (row.Prompt, row.Response)), "rows", CancellationToken.None).Examples;
        return SupervisedLoss.Mean(model, rows, options.BatchSize, padTokenId: 0, options.LogitsChunkSize);
    }

    /// <summary>The device's codes are the CPU's.</summary>
    private string Nf4()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        manual_seed(0);
        Tensor weight = randn(192, 320);
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using var here = new Nf4Weight(weight.to(type));
            using var there = new Nf4Weight(weight.to(type).to(device));
            Check.That(
                there.Dense(type).cpu().bytes.SequenceEqual(here.Dense(type).bytes), $"the dense form in {type} is not that of the CPU");
        }

        return "the dense form is that of the CPU, to the last bit";
    }

    /// <summary>Leading triplets of a matrix whose own are known.</summary>
    private string Decomposed()
    {
        const int Rank = 8;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using Generator generator = new(0);
        manual_seed(0);
        Tensor u = linalg.qr(randn(160, 40)).Q, v = linalg.qr(randn(120, 40)).Q;
        Tensor s = pow(0.7, arange(40, ScalarType.Float32));
        (Tensor left, Tensor values, Tensor right) = Decomposition.Drawn(generator).Leading(
            (u * s).mm(v.t()).to(device), Rank, comesAgain: false);
        double off = TensorDifference.Largest(values, s.narrow(0, 0, Rank));
        double orthonormal = Math.Max(
            TensorDifference.Largest(left.t().mm(left), eye(Rank)), TensorDifference.Largest(right.mm(right.t()), eye(Rank)));
        Check.Within(off, TestDevice.Limit(1e-5, device), "a singular value");
        Check.Within(orthonormal, TestDevice.Limit(1e-5, device), "UᵀU");
        return FormattableString.Invariant($"singular values {off:0.0e0}, UᵀU {orthonormal:0.0e0}");
    }

    private string NewFolder() => Path.Combine(folder, FormattableString.Invariant($"training-{_folders++}"));

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
