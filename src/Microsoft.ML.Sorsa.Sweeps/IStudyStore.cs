namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Where a study is kept. What a call has written stays, whatever happens to the process afterwards. Calls may come from several threads.
/// One that keeps it in an SQL database has an <see cref="SqlStudyTables"/> for most of this.
/// </summary>
public interface IStudyStore : IDisposable
{
    /// <summary>The study as messages name it.</summary>
    string Name { get; }

    /// <summary>When the study was begun; null where the store does not know. Asked once it is open. Null unless implemented.</summary>
    DateTimeOffset? Begun => null;

    /// <summary>Makes the study, or opens it, for this experiment alone until the store is disposed.</summary>
    /// <param name="definition">What the experiment is; to be the same as that of a study which is there.</param>
    /// <exception cref="InvalidOperationException">It was begun with another definition, or another experiment has it open.</exception>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    void Open(StudyDefinition definition);

    /// <summary>All trials so far, by their number.</summary>
    /// <param name="space">Whose options turn the parameters' texts into values.</param>
    IReadOnlyDictionary<int, TrialResult> Read(SorsaSearchSpace space);

    /// <summary>A trial starts, for the first time or again: its curve is empty.</summary>
    /// <param name="plan">The trial.</param>
    void Start(TrialPlan plan);

    /// <summary>Adds a point to a running trial's curve.</summary>
    /// <param name="trialId">The trial.</param>
    /// <param name="evaluation">The point's number in the curve, from 1.</param>
    /// <param name="point">The point.</param>
    void AddCurvePoint(int trialId, int evaluation, CurvePoint point);

    /// <summary>A trial's end, its curve with it; false where its end is known already, and nothing changes.</summary>
    /// <param name="result">The end.</param>
    bool Finish(TrialResult result);
}
