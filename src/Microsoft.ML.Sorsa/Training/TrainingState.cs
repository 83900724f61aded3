using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Optimizers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// Everything that decides how a training goes on, beside its settings and its rows: whoever puts this one object back continues to the
/// same bits. The place in the data is the step, since the order of the rows follows from the seed. <see cref="TrainingCheckpoint"/> writes
/// it.
/// </summary>
internal sealed class TrainingState : IDisposable
{
    /// <summary>What stands in front of the names of <see cref="Trained"/> and <see cref="Best"/> among <see cref="Tensors"/>.</summary>
    public const string TrainedPrefix = "trained.", BestPrefix = "best.";

    private readonly AdapterSet _adapters;

    /// <summary>The state before the first step.</summary>
    /// <param name="adapters">What trains; not owned.</param>
    /// <param name="settings">How.</param>
    public TrainingState(AdapterSet adapters, TrainingSettings settings)
    {
        _adapters = adapters;
        Dropout = adapters.Dropout;
        Trained = adapters.Trainable;
        Optimizer = adapters.CreateOptimizer(settings.ToAdamWSettings());
        Best = new BestWeights(Trained);
    }

    /// <summary>Optimizer steps that are done.</summary>
    public int Step { get; set; }

    /// <summary>What trains, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, Parameter>> Trained { get; }

    /// <summary>With what it remembers between steps.</summary>
    public IOptimizer Optimizer { get; }

    /// <summary>Dropout, of which the passes so far belong to the state; null: there is none.</summary>
    public InputDropout? Dropout { get; }

    /// <summary>The weights of the lowest validation loss so far.</summary>
    public BestWeights Best { get; }

    /// <summary>The loss of every step so far.</summary>
    public List<double> Losses { get; } = [];

    /// <summary>Every evaluation of the validation rows so far: the step after which it was, and the loss.</summary>
    public List<(int Step, double Loss)> Evaluations { get; } = [];

    /// <summary>What an analysis found at the steps so far.</summary>
    public List<MatrixAnalysis> Analysis { get; } = [];

    /// <summary>Every tensor of it: what trains, what optimizer and method remember, the best weights.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Tensors =>
    [
        .. Trained.Select(named => KeyValuePair.Create($"{TrainedPrefix}{named.Key}", (Tensor)named.Value)),
        .. Optimizer.State.Select(named => KeyValuePair.Create($"optimizer.{named.Key}", named.Value)),
        .. _adapters.State.Select(named => KeyValuePair.Create($"method.{named.Key}", named.Value)),
        .. Best.Copies.Select(named => KeyValuePair.Create($"{BestPrefix}{named.Key}", named.Value)),
    ];

    public void Dispose()
    {
        Optimizer.Dispose();
        Best.Dispose();
    }
}
