using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks.Gpu;

/// <summary>
/// What a step costs on a large model: the frozen floor, decoding, and each method. The weights are loaded once, and the adapters of a
/// method made once for all its rows.
/// </summary>
internal sealed class TrainingTable : IDisposable
{
    private const int WarmUp = 2;

    private static readonly bool[] s_checkpointing = [false, true];

    private readonly ScalarType _type;
    private readonly Device _device;
    private readonly TableSize _size;
    private readonly Lazy<CausalLM> _frozen;
    private readonly CardMemory _memory;
    private readonly DeviceClock _clock;
    private readonly Random _random = new(0);
    private double _loading;

    /// <param name="folder">The model's.</param>
    /// <param name="type">In which its weights lie.</param>
    /// <param name="device">Where.</param>
    /// <param name="size">How much is measured.</param>
    public TrainingTable(string folder, ScalarType type, Device device, TableSize size)
    {
        (_type, _device, _size) = (type, device, size);
        (_memory, _clock) = (new CardMemory(device), new DeviceClock(device));
        _frozen = new Lazy<CausalLM>(() =>
        {
            double begun = _clock.Now;
            CausalLM model = CausalLM.Load(folder, type, device);
            _loading = (_clock.Now - begun) / 1e3;
            return model;
        });
    }

    public void Run(GuardedRows rows)
    {
        foreach (int batch in _size.Batches)
        {
            rows.Run(Name("floor", batch), () => Floor(batch));
        }

        rows.Run("table generate", Decode);
        foreach (StepVariant variant in Variants(_size.Rank))
        {
            (string Name, int Batch, bool Checkpointing)[] steps =
            [
                .. from batch in _size.Batches
                   from checkpointing in s_checkpointing
                   select (Name($"{variant.Name} r{variant.Rank}", batch) + (checkpointing ? " checkpointing" : ""), batch, checkpointing),
            ];
            using var adapted = new AdaptedVariant(_frozen, variant, _clock);
            foreach ((string name, int batch, bool checkpointing) in steps)
            {
                rows.Run(name, () => Train(adapted, batch, checkpointing));
            }
        }
    }

    public void Dispose()
    {
        _memory.Dispose();
        if (_frozen.IsValueCreated)
        {
            _frozen.Value.Dispose();
        }
    }

    private string Name(string row, int batch) => FormattableString.Invariant($"table {row} {batch}x{_size.Tokens}");

    private StepShape Shape(int batch) => new(batch, _size.Tokens, _frozen.Value.Spec.LayerCount);

    private string Floor(int batch)
    {
        CausalLM model = _frozen.Value;
        SupervisedExample[] rows = Rows(batch);
        var times = new List<double>();
        double loss = 0;
        _memory.Reset();
        for (int step = 0; step < WarmUp + _size.Steps; step++)
        {
            double begun = _clock.Now;
            loss = StepSpeed.BaseStep(model, rows, _device);
            times.Add(_clock.Now - begun);
        }

        return Print(ResultLine.Of(
            $"floor {ResultLine.Name(_type)}", Shape(batch), times[WarmUp..], _memory, loss, 0, Text($"load_s {_loading:F1}")));
    }

    private string Decode()
    {
        _memory.Reset();
        (double prefill, double decode) = GenerationSpeed.Median(_frozen.Value, _size.Answers, _size.NewTokens, rounds: 2);
        return Print(ResultLine.OfDecoding(
            _type, new StepShape(_size.Answers, _size.NewTokens, _frozen.Value.Spec.LayerCount), GenerationSpeed.PromptLength, prefill,
            decode, _memory));
    }

    private string Train(AdaptedVariant adapted, int batch, bool checkpointing)
    {
        SupervisedExample[] rows = Rows(batch);
        int steps = WarmUp + _size.Steps;
        var times = new List<double>();
        var tensors = new List<long>();
        double begun = 0, loss = 0;
        (CausalLM model, AdapterSet adapters, double seconds) = adapted.Make();
        model.GradientCheckpointing = checkpointing;
        _memory.Reset();
        new TrainingLoop(model, adapters, new SorsaFineTuningTrainer.Options().ToSettings().Training).Run(
            Batches(), steps, validate: null,
            progress =>
            {
                times.Add(_clock.Now - begun);
                tensors.Add(Tensor.TotalCount);
                loss = progress.Loss;
            },
            CancellationToken.None);
        string how = checkpointing ? " checkpointing" : "";
        string result = ResultLine.Of(
            $"{adapted.Variant.Name} r{adapted.Variant.Rank} {ResultLine.Name(_type)}{how}", Shape(batch), times[WarmUp..], _memory, loss,
            adapters.Trainable.Sum(named => named.Value.numel()), Text($"adapters_s {seconds:F1}"));
        Print(result);
        Check.That(tensors[^1] <= tensors[WarmUp - 1],
            Text($"{tensors[WarmUp - 1]} tensors were alive after {WarmUp} steps, and {tensors[^1]} after {steps}: memory grows"));
        return Text($"{tensors[^1]} tensors alive at every step");

        IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Batches()
        {
            for (int step = 0; step < steps; step++)
            {
                begun = _clock.Now;
                yield return [rows];
            }
        }
    }

    /// <summary>Half of each is response.</summary>
    private SupervisedExample[] Rows(int batch) =>
    [
        .. Enumerable.Range(0, batch).Select(_ => new SupervisedExample(
            [.. Enumerable.Range(0, _size.Tokens).Select(_ => _random.Next(3, _frozen.Value.Spec.VocabularySize))], _size.Tokens / 2)),
    ];

    private static string Print(string line)
    {
        Console.WriteLine(line);
        return "measured";
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>In the order of the memory that they take: libtorch keeps what it once had.</summary>
    private static StepVariant[] Variants(int rank) =>
    [
        StepVariant.Lora(rank / 8), StepVariant.Lora(rank), StepVariant.Dora(rank / 8), StepVariant.Sorsa(rank, quantized: true),
        StepVariant.Sorsa(rank),
    ];

    /// <summary>A method's adapters over the shared weights, made when the first row asks.</summary>
    private sealed class AdaptedVariant(Lazy<CausalLM> frozen, StepVariant variant, DeviceClock clock) : IDisposable
    {
        private CausalLM? _model;
        private AdapterSet? _adapters;
        private double _seconds;

        public StepVariant Variant => variant;

        public (CausalLM Model, AdapterSet Adapters, double Seconds) Make()
        {
            if (_adapters is null)
            {
                _model ??= frozen.Value.Share();
                using var generator = new Generator(0);
                string[] targets = [.. _model.Projections.Select(slot => slot.Name).Distinct(StringComparer.Ordinal)];
                double begun = clock.Now;
                _adapters = AdapterSet.Inject(_model, targets, variant.Create(generator, WarmUp));
                _seconds = (clock.Now - begun) / 1e3;
            }

            return (_model!, _adapters, _seconds);
        }

        public void Dispose()
        {
            _adapters?.Discard();
            _model?.Dispose();
        }
    }
}

/// <summary>How much of the table is measured.</summary>
/// <param name="Batches">Rows of a step.</param>
/// <param name="Tokens">Of each row.</param>
/// <param name="Steps">That are timed.</param>
/// <param name="Rank">The larger one; the smaller one is an eighth of it.</param>
/// <param name="Answers">Rows that are decoded at once.</param>
/// <param name="NewTokens">Of each answer.</param>
internal sealed record TableSize(IReadOnlyList<int> Batches, int Tokens, int Steps, int Rank, int Answers, int NewTokens)
{
    /// <summary>Llama 2 7B on a card.</summary>
    public static TableSize Full { get; } = new([1, 4], Tokens: 512, Steps: 8, Rank: 128, Answers: 16, NewTokens: 64);

    /// <summary>Shows that it runs.</summary>
    public static TableSize Small { get; } = new([1, 4], Tokens: 32, Steps: 2, Rank: 16, Answers: 4, NewTokens: 8);
}
